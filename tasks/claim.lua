-- Starts an epoch of a shard, if nobody else did meanwhile, and says where each lane stands: its first `prev`.
--
-- KEYS  1 shard  2 layout  3 configurations  4... the pools of the lanes, one for each lane
-- ARGV  1 the epoch that must be stored ('' for none)  2 new epoch  3 layout  4 configuration's version  5 its JSON
--       6... the lanes' fields, in the order of their pools
-- Returns {1, position or '', ...} or {0, the stored epoch}.

local stored = redis.call('HGET', KEYS[1], 'epoch') or ''
if stored ~= ARGV[1] then return {0, stored} end

local answer = {1}
for lane = 4, #KEYS do
  answer[lane - 2] = redis.call('HGET', KEYS[lane], ARGV[lane + 2]) or ''
end
redis.call('HSET', KEYS[1], 'epoch', ARGV[2])
redis.call('SET', KEYS[2], ARGV[3])
redis.call('HSET', KEYS[3], ARGV[4], ARGV[5])
return answer
