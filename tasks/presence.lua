-- Writes a worker down, or takes it out, under Redis's clock; removes those that have not been seen for 60 s.
--
-- KEYS  1 workers
-- ARGV  1 its name  2 JSON object of what it says of itself; empty: it leaves

local now = redis.call('TIME')
if ARGV[2] == '' then
  redis.call('HDEL', KEYS[1], ARGV[1])
else
  local seen = string.format('{"seen_s":%d.%06d,', now[1], now[2])
  redis.call('HSET', KEYS[1], ARGV[1], seen .. string.sub(ARGV[2], 2))
end
local all = redis.call('HGETALL', KEYS[1])
for at = 1, #all, 2 do
  local seen_s = tonumber(string.match(all[at + 1], '^{"seen_s":([%d.]+)'))
  if not seen_s or seen_s < now[1] - 60 then redis.call('HDEL', KEYS[1], all[at]) end
end
