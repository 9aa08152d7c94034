-- Counts a start of each batch of a task, and reads what it needs.
--
-- KEYS  1 shard  then for each batch its pool and its starts
-- ARGV  1 seconds after which starts are forgotten
--       2 for each batch, in msgpack: its identity, and a list of the fields of the pool that it needs
-- Returns {epoch, {starts, value, ...}, ...}: a list for each batch.

local answer = {redis.call('HGET', KEYS[1], 'epoch')}
for number, batch in ipairs(cmsgpack.unpack(ARGV[2])) do
  local pool, starts = KEYS[2 * number], KEYS[2 * number + 1]
  local started = redis.call('HINCRBY', starts, batch[1], 1)
  redis.call('EXPIRE', starts, ARGV[1])
  local values, fields = {started}, batch[2]
  for at = 1, #fields, 1000 do  -- unpack fails near 8,000 values
    for _, value in ipairs(redis.call('HMGET', pool, unpack(fields, at, math.min(at + 999, #fields)))) do
      values[#values + 1] = value
    end
  end
  answer[#answer + 1] = values
end
return answer
