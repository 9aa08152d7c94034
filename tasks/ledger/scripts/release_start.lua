#!lua flags=allow-oom
-- Takes one start of a batch back. Never below none: the commit of another copy has removed them all. Also where Redis
-- is full: what was refused for that was no fault of the batch.
--
-- KEYS  1 starts
-- ARGV  1 identity of the batch

local starts = tonumber(redis.call('HGET', KEYS[1], ARGV[1]) or '0') or 0
if starts > 1 then return redis.call('HINCRBY', KEYS[1], ARGV[1], -1) end
return redis.call('HDEL', KEYS[1], ARGV[1])
