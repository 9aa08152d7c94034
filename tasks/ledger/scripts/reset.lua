-- Removes states of a pool. A run that read them before can't commit any more: see `commit.lua`.
--
-- KEYS  1 pool  2 resets
-- ARGV  1 the reset as JSON  2 resets kept  3... the states' fields
-- Returns how many there were; when none, nothing is changed.

hash('HDEL', KEYS[1])
number('HINCRBY', KEYS[1], 'resets')
stream('XADD', KEYS[2])

local removed = 0
for at = 3, #ARGV, 1000 do  -- unpack fails near 8,000 values
  removed = removed + redis.call('HDEL', KEYS[1], unpack(ARGV, at, math.min(at + 999, #ARGV)))
end
if removed > 0 then
  redis.call('HINCRBY', KEYS[1], 'resets', 1)
  redis.call('XADD', KEYS[2], 'MAXLEN', '~', ARGV[2], '*', 'reset', ARGV[1], 'states', removed)
end
return removed
