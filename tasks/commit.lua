-- Commits one batch, or changes nothing: the fence. Every check comes before the first write, because a script that
-- fails half-way does not roll back.
--
-- KEYS  1 shard  2 pool  3 starts  4 signals  5 held signals  6 dead letters  7 audit  8 counters
-- ARGV  1 epoch  2 lane's field  3 prev  4 to  5 channel  6 notice  7 dead letters and held signals kept
--       8 how often states of this pool had been reset when the run began; '' for never
--       9-14 how many fields, signals, held signals, dead letters, audit lines and counters follow, in this order
--       then: field, value, ...   signal, trace or '', ...   held, ...   letter, ...   line, ...   counter, increment, ...
-- Returns committed | repeat | epoch | position | reset.

if redis.call('HGET', KEYS[1], 'epoch') ~= ARGV[1] then return 'epoch' end
local stands = redis.call('HMGET', KEYS[2], ARGV[2], 'resets')
local position = stands[1] or ''
if position == ARGV[4] then return 'repeat' end
if position ~= ARGV[3] then return 'position' end
if (stands[2] or '') ~= ARGV[8] then return 'reset' end

local at = 15  -- the first argument that is not read yet

for _ = 1, tonumber(ARGV[9]), 500 do  -- 500 fields a call: unpack fails near 8,000 values
  local last = math.min(at + 999, 14 + 2 * tonumber(ARGV[9]))
  redis.call('HSET', KEYS[2], unpack(ARGV, at, last))
  at = last + 1
end

local function append(stream, count, field, keep)
  for _ = 1, tonumber(count) do
    if keep then
      redis.call('XADD', stream, 'MAXLEN', '~', keep, '*', field, ARGV[at])
    else
      redis.call('XADD', stream, '*', field, ARGV[at])
    end
    at = at + 1
  end
end

for _ = 1, tonumber(ARGV[10]) do
  if ARGV[at + 1] == '' then
    redis.call('XADD', KEYS[4], '*', 'signal', ARGV[at])
  else
    redis.call('XADD', KEYS[4], '*', 'signal', ARGV[at], 'trace', ARGV[at + 1])
  end
  at = at + 2
end
append(KEYS[5], ARGV[11], 'held', ARGV[7])
append(KEYS[6], ARGV[12], 'letter', ARGV[7])
append(KEYS[7], ARGV[13], 'line')

for _ = 1, tonumber(ARGV[14]) do
  redis.call('HINCRBY', KEYS[8], ARGV[at], ARGV[at + 1])
  at = at + 2
end
redis.call('HSET', KEYS[2], ARGV[2], ARGV[4])
redis.call('DEL', KEYS[3])
redis.call('PUBLISH', ARGV[5], ARGV[6])
return 'committed'
