-- Commits the batches of a task, each whole or not at all: the fence. Everything is checked, and asked for, before the
-- first write, because a script that fails half-way does not roll back: see `before_writing.lua`.
--
-- KEYS  1 shard  2 counters  3 signals  4 held signals  5 dead letters  6 audit  7 positions  8 shadowed signals
--       then for each batch its pool and its starts
-- ARGV  1 channel  2 dead letters, held and shadowed signals kept  3 positions kept
--       4 the batches, in msgpack, each a list of
--           1 epoch  2 lane's field  3 prev  4 to  5 notice
--           6 how often states of this pool had been reset when the run began; '' for never
--           7 field, value, ...  8 signal, trace or '', revision or '', ...  9 held signals  10 dead letters  11 audit lines
--           12 closed positions  13 shadowed signals  14 counter, increment, ...
-- Returns for each batch committed | repeat | epoch | position | reset. One notice tells of all that were committed.

local epoch = redis.call('HGET', KEYS[1], 'epoch')
local channel, kept, positions_kept = ARGV[1], ARGV[2], ARGV[3]
local batches, answers, notices, counted = cmsgpack.unpack(ARGV[4]), {}, {}, {}
local moved, appends = {}, {}

local function refusal(batch, pool, starts)
  if epoch ~= batch[1] then return 'epoch' end
  local stands = redis.call('HMGET', pool, batch[2], 'resets')
  -- A lane that two batches of this task name, which have the same starts, stands where the first of them takes it.
  local position = moved[starts] or stands[1] or ''
  if position == batch[4] then return 'repeat' end
  if position ~= batch[3] then return 'position' end
  if (stands[2] or '') ~= batch[6] then return 'reset' end
  moved[starts] = batch[4]
end

local function ask(batch, pool, starts)
  may('HSET', pool)
  may('DEL', starts)
  if batch[8][1] then appends[3] = true end
  if batch[9][1] then appends[4] = true end
  if batch[10][1] then appends[5] = true end
  if batch[11][1] then appends[6] = true end
  if batch[12][1] then appends[7] = true end
  if batch[13][1] then appends[8] = true end
end

local function write(batch, pool, starts)
  local fields, signals, counts = batch[7], batch[8], batch[14]
  fields[#fields + 1], fields[#fields + 2] = batch[2], batch[4]
  for at = 1, #fields, 1000 do  -- unpack fails near 8,000 values
    redis.call('HSET', pool, unpack(fields, at, math.min(at + 999, #fields)))
  end
  for at = 1, #signals, 3 do
    local entry = {'signal', signals[at]}
    for offset, field in ipairs({'trace', 'revision'}) do
      local value = signals[at + offset]
      if value ~= '' then entry[#entry + 1], entry[#entry + 2] = field, value end
    end
    redis.call('XADD', KEYS[3], '*', unpack(entry))
  end
  for _, held in ipairs(batch[9]) do redis.call('XADD', KEYS[4], 'MAXLEN', '~', kept, '*', 'held', held) end
  for _, letter in ipairs(batch[10]) do redis.call('XADD', KEYS[5], 'MAXLEN', '~', kept, '*', 'letter', letter) end
  for _, line in ipairs(batch[11]) do redis.call('XADD', KEYS[6], '*', 'line', line) end
  for _, position in ipairs(batch[12]) do
    redis.call('XADD', KEYS[7], 'MAXLEN', '~', positions_kept, '*', 'position', position)
  end
  for _, each in ipairs(batch[13]) do redis.call('XADD', KEYS[8], 'MAXLEN', '~', kept, '*', 'shadowed', each) end
  for at = 1, #counts, 2 do counted[counts[at]] = (counted[counts[at]] or 0) + counts[at + 1] end
  redis.call('DEL', starts)
  notices[#notices + 1] = batch[5]
  return 'committed'
end

for at_batch, batch in ipairs(batches) do
  local pool, starts = KEYS[7 + 2 * at_batch], KEYS[8 + 2 * at_batch]
  answers[at_batch] = refusal(batch, pool, starts)
  if not answers[at_batch] then ask(batch, pool, starts) end
end
if not next(moved) then return answers end
hash('HINCRBY', KEYS[2])
may('PUBLISH', channel)
for at = 3, 8 do
  if appends[at] then stream('XADD', KEYS[at]) end
end

for at_batch, batch in ipairs(batches) do
  answers[at_batch] = answers[at_batch] or write(batch, KEYS[7 + 2 * at_batch], KEYS[8 + 2 * at_batch])
end
-- A counter that is full, or no number, must not end the script: what it counts is committed.
for counter, count in pairs(counted) do redis.pcall('HINCRBY', KEYS[2], counter, count) end
redis.call('PUBLISH', channel, table.concat(notices, '\n'))
return answers
