-- Commits the batches of a task, each whole or not at all: the fence. A batch's checks come before its first write,
-- because a script that fails half-way does not roll back.
--
-- KEYS  1 shard  2 counters  3 signals  4 held signals  5 dead letters  6 audit  then for each batch its pool and its
--       starts
-- ARGV  1 channel  2 dead letters and held signals kept
--       3 the batches, in msgpack, each a list of
--           1 epoch  2 lane's field  3 prev  4 to  5 notice
--           6 how often states of this pool had been reset when the run began; '' for never
--           7 field, value, ...  8 signal, trace or '', ...  9 held signals  10 dead letters  11 audit lines
--           12 counter, increment, ...
-- Returns for each batch committed | repeat | epoch | position | reset. One notice tells of all that were committed.

local epoch = redis.call('HGET', KEYS[1], 'epoch')
local channel, kept = ARGV[1], ARGV[2]
local answers, notices, counted = {}, {}, {}

local function refusal(batch, pool)
  if epoch ~= batch[1] then return 'epoch' end
  local stands = redis.call('HMGET', pool, batch[2], 'resets')
  local position = stands[1] or ''
  if position == batch[4] then return 'repeat' end
  if position ~= batch[3] then return 'position' end
  if (stands[2] or '') ~= batch[6] then return 'reset' end
end

local function write(batch, pool, starts)
  local fields, signals, counts = batch[7], batch[8], batch[12]
  for at = 1, #fields, 1000 do  -- unpack fails near 8,000 values
    redis.call('HSET', pool, unpack(fields, at, math.min(at + 999, #fields)))
  end
  for at = 1, #signals, 2 do
    if signals[at + 1] == '' then
      redis.call('XADD', KEYS[3], '*', 'signal', signals[at])
    else
      redis.call('XADD', KEYS[3], '*', 'signal', signals[at], 'trace', signals[at + 1])
    end
  end
  for _, held in ipairs(batch[9]) do redis.call('XADD', KEYS[4], 'MAXLEN', '~', kept, '*', 'held', held) end
  for _, letter in ipairs(batch[10]) do redis.call('XADD', KEYS[5], 'MAXLEN', '~', kept, '*', 'letter', letter) end
  for _, line in ipairs(batch[11]) do redis.call('XADD', KEYS[6], '*', 'line', line) end
  for at = 1, #counts, 2 do counted[counts[at]] = (counted[counts[at]] or 0) + counts[at + 1] end
  redis.call('HSET', pool, batch[2], batch[4])
  redis.call('DEL', starts)
  notices[#notices + 1] = batch[5]
  return 'committed'
end

for number, batch in ipairs(cmsgpack.unpack(ARGV[3])) do
  local pool, starts = KEYS[5 + 2 * number], KEYS[6 + 2 * number]
  answers[number] = refusal(batch, pool) or write(batch, pool, starts)
end
-- A counter that is full, or no number, must not end the script: what it counts is committed.
for counter, count in pairs(counted) do redis.pcall('HINCRBY', KEYS[2], counter, count) end
if #notices > 0 then redis.call('PUBLISH', channel, table.concat(notices, '\n')) end
return answers
