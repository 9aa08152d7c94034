-- Counts a start of each batch of a task, and reads what it needs.
--
-- KEYS  1 shard  then for each batch its pool and its starts
-- ARGV  1 seconds after which starts are forgotten  then for each batch its identity, how many fields of the pool it
--       needs, and these
-- Returns {epoch, {starts, value, ...}, ...}: a list for each batch.

local answer, at = {redis.call('HGET', KEYS[1], 'epoch')}, 2
for key = 2, #KEYS, 2 do
  local count = tonumber(ARGV[at + 1])
  local starts = redis.call('HINCRBY', KEYS[key + 1], ARGV[at], 1)
  redis.call('EXPIRE', KEYS[key + 1], ARGV[1])
  local values = redis.call('HMGET', KEYS[key], unpack(ARGV, at + 2, at + 1 + count))
  table.insert(values, 1, starts)
  answer[#answer + 1] = values
  at = at + 2 + count
end
return answer
