-- Counts a start of each batch of a task, and reads what it needs.
--
-- KEYS  1 shard  then for each batch its pool and its starts
-- ARGV  1 seconds after which starts are forgotten
--       2 for each batch, in msgpack: its identity, and a list of the fields of the pool that it needs
-- Returns {epoch, {starts, {starts' field, value, ...}, value, ...}, ...}: a list for each batch.

local answer, batches = {redis.call('HGET', KEYS[1], 'epoch')}, cmsgpack.unpack(ARGV[2])
for at_batch, batch in ipairs(batches) do
  local pool, starts = KEYS[2 * at_batch], KEYS[2 * at_batch + 1]
  local values, fields = {0, redis.call('HGETALL', starts)}, batch[2]
  for at = 1, #fields, 1000 do  -- unpack fails near 8,000 values
    for _, value in ipairs(redis.call('HMGET', pool, unpack(fields, at, math.min(at + 999, #fields)))) do
      values[#values + 1] = value
    end
  end
  answer[at_batch + 1] = values
  number('HINCRBY', starts, batch[1])
  may('EXPIRE', starts)
  may('HDEL', starts)  -- A start that could not be released would count against the batch.
end
for at_batch, batch in ipairs(batches) do
  local starts = KEYS[2 * at_batch + 1]
  answer[at_batch + 1][1] = redis.call('HINCRBY', starts, batch[1], 1)
  redis.call('EXPIRE', starts, ARGV[1])
end
return answer
