-- Puts another configuration in force, unless somebody else did so first.
--
-- KEYS  1 which one is in force  2 configurations  3 history
-- ARGV  1 the version that must be in force ('' for none)  2 new version  3 its JSON  4 the change as JSON
--       5 the version of the strategies file ('' when it is not about the file)  6 channel  7 notice
--       8 the overlay that must be stored ('' for none)  9 new overlay  10 the strategies file's JSON
-- Returns nothing, or the version that is in force instead ('' for none).

local current = redis.call('HGET', KEYS[1], 'version') or ''
local overlay = redis.call('HGET', KEYS[1], 'overlay') or ''
if current ~= ARGV[1] or overlay ~= ARGV[8] then return current end

hash('HSET', KEYS[2])
stream('XADD', KEYS[3])
may('HSET', KEYS[1])
may('PUBLISH', ARGV[6])

redis.call('HSET', KEYS[2], ARGV[2], ARGV[3])
redis.call('XADD', KEYS[3], '*', 'change', ARGV[4])
redis.call('HSET', KEYS[1], 'version', ARGV[2], 'overlay', ARGV[9])
if ARGV[5] ~= '' then
  redis.call('HSET', KEYS[2], ARGV[5], ARGV[10])
  redis.call('HSET', KEYS[1], 'file', ARGV[5])
end
redis.call('PUBLISH', ARGV[6], ARGV[7])
return false
