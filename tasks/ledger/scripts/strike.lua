-- Writes down that a strategy ended the process it ran in, unless the batch was committed meanwhile.
--
-- KEYS  1 shard  2 the lane's pool  3 its starts
-- ARGV  1 epoch  2 lane's field  3 where the lane stood  4 field of the strikes of this strategy on this event
--       5 strikes to add  6 seconds after which they are forgotten  7 how many make it the strategy's error
--       8 field of the pool that says who ended processes  9 strategy  10 event  11 seconds within which another event
--       of the strategy stops it  12 why, for a person  13 channel  14 how its notice begins
-- Returns late | struck | given_up (the event, by this strategy) | stopped (the strategy).

if redis.call('HGET', KEYS[1], 'epoch') ~= ARGV[1] then return 'late' end
if (redis.call('HGET', KEYS[2], ARGV[2]) or '') ~= ARGV[3] then return 'late' end

may('EXPIRE', KEYS[3])
hash('HSET', KEYS[2])
may('PUBLISH', ARGV[13])
number('HINCRBY', KEYS[3], ARGV[4])

-- What stands there already may be anything: so all of it is made before the first write.
local function entries_of(text)
  local known, all = pcall(cjson.decode, text)
  local entries = {}
  for name, each in pairs(known and type(all) == 'table' and all or entries) do
    -- One that is not as ours are would make all the others unreadable.
    if type(name) == 'string' and type(each) == 'table' and type(each.event) == 'string'
      and type(each.at_s) == 'number' and math.abs(each.at_s) < 2 ^ 53
      and type(each.stopped) == 'boolean' and type(each.why) == 'string' then
      entries[name] = {event = each.event, at_s = each.at_s, stopped = each.stopped, why = each.why}
    end
  end
  return entries
end

local answer, packed = 'struck', nil
local strikes = tonumber(redis.call('HGET', KEYS[3], ARGV[4]) or '0') + tonumber(ARGV[5])
if strikes >= tonumber(ARGV[7]) then
  local all, now_s = entries_of(redis.call('HGET', KEYS[2], ARGV[8]) or '{}'), tonumber(redis.call('TIME')[1])
  local before = all[ARGV[9]]
  local again = before and before.event ~= ARGV[10] and now_s - before.at_s < tonumber(ARGV[11])
  local stopped = (before and before.stopped) or again or false
  all[ARGV[9]] = {event = ARGV[10], at_s = now_s, stopped = stopped, why = ARGV[12]}
  answer, packed = stopped and 'stopped' or 'given_up', cjson.encode(all)
end

redis.call('HINCRBY', KEYS[3], ARGV[4], ARGV[5])
redis.call('EXPIRE', KEYS[3], ARGV[6])
if packed then redis.call('HSET', KEYS[2], ARGV[8], packed) end
redis.call('PUBLISH', ARGV[13], ARGV[14] .. answer)
return answer
