-- Writes a worker down, or takes it out, under Redis's clock; removes those that have not been seen for 60 s.
--
-- KEYS  1 workers
-- ARGV  1 its name  2 JSON object of what it says of itself; empty: it leaves

local now, all, gone = redis.call('TIME'), redis.call('HGETALL', KEYS[1]), {}
for at = 1, #all, 2 do
  local seen_s = tonumber(string.match(all[at + 1], '^{"seen_s":([%d.]+)'))
  if all[at] ~= ARGV[1] and (not seen_s or seen_s < now[1] - 60) then gone[#gone + 1] = all[at] end
end
local is_leaving = ARGV[2] == ''
if is_leaving then gone[#gone + 1] = ARGV[1] end
if not is_leaving then may('HSET', KEYS[1]) end
if gone[1] then may('HDEL', KEYS[1]) end

if not is_leaving then
  local seen = string.format('{"seen_s":%d.%06d,', now[1], now[2])
  redis.call('HSET', KEYS[1], ARGV[1], seen .. string.sub(ARGV[2], 2))
end
for _, name in ipairs(gone) do redis.call('HDEL', KEYS[1], name) end
