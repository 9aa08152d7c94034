-- Puts records and states into pools: all of them, or nothing. A run that read before can't commit any more: see
-- `commit.lua`.
--
-- KEYS  1 resets  2 which configuration is in force  then the pools
-- ARGV  1 resets kept  2 the version of the configuration that the states are of
--       3 in msgpack, for each pool a list of
--           1 the seeding as JSON  2 how many states  3 field, what it must hold ('' for nothing), ...
--           4 field, value, ...
-- Returns seeded | changed: a field holds something else | configuration: another one is in force.

local pools = cmsgpack.unpack(ARGV[3])
local version = redis.call('HGET', KEYS[2], 'version') or ''
if version ~= '' and version ~= ARGV[2] then return 'configuration' end
for at, pool in ipairs(pools) do
  local expected = pool[3]
  for field = 1, #expected, 2 do
    if (redis.call('HGET', KEYS[2 + at], expected[field]) or '') ~= expected[field + 1] then return 'changed' end
  end
end

stream('XADD', KEYS[1])
for at = 1, #pools do
  hash('HSET', KEYS[2 + at])
  number('HINCRBY', KEYS[2 + at], 'resets')
end

for at, pool in ipairs(pools) do
  local key, values = KEYS[2 + at], pool[4]
  for field = 1, #values, 1000 do  -- unpack fails near 8,000 values
    redis.call('HSET', key, unpack(values, field, math.min(field + 999, #values)))
  end
  redis.call('HINCRBY', key, 'resets', 1)
  redis.call('XADD', KEYS[1], 'MAXLEN', '~', ARGV[1], '*', 'reset', pool[1], 'states', pool[2])
end
return 'seeded'
