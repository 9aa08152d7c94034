-- Writes a worker down, or takes it out, under Redis's clock; removes those that have not been seen for 60 s. Publishes a
-- notice where that changes who works on what.
--
-- KEYS  1 workers
-- ARGV  1 its name  2 JSON object of what it says of itself; empty: it leaves  3 channel  4 notice

local name, entry, channel = ARGV[1], ARGV[2], ARGV[3]
local now, all, gone, before = redis.call('TIME'), redis.call('HGETALL', KEYS[1]), {}, nil
for at = 1, #all, 2 do
  local seen_s = tonumber(string.match(all[at + 1], '^{"seen_s":([%d.]+)'))
  if all[at] == name then
    before = {seen_s = seen_s or 0, work = string.match(all[at + 1], '"queues".*')}
  elseif not seen_s or seen_s < now[1] - 60 then
    gone[#gone + 1] = all[at]
  end
end
local is_leaving = entry == ''
if is_leaving then gone[#gone + 1] = name end
local is_news = before ~= nil
if not is_leaving then
  -- Who was silent for more than 10 s counted as gone (heartbeats.py).
  local was_there = before and before.seen_s >= now[1] - 10
  is_news = not (was_there and before.work == string.match(entry, '"queues".*'))
end
if not is_leaving then may('HSET', KEYS[1]) end
if gone[1] then may('HDEL', KEYS[1]) end
if is_news then may('PUBLISH', channel) end

if not is_leaving then
  local seen = string.format('{"seen_s":%d.%06d,', now[1], now[2])
  redis.call('HSET', KEYS[1], name, seen .. string.sub(entry, 2))
end
for _, each in ipairs(gone) do redis.call('HDEL', KEYS[1], each) end
if is_news then redis.call('PUBLISH', channel, ARGV[4]) end
