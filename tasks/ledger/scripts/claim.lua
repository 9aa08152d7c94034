-- Starts an epoch of a shard, if nobody else did meanwhile, and says where each lane stands: its first `prev`.
-- Another layout than the stored one is taken only while no other shard is led by anybody; then the epochs of those
-- end here, so that whoever led one and wakes up late is refused.
--
-- KEYS  1 shard  2 layout  3 configurations  then the lanes' pools, one for each lane  then the other shards' leases
--       then the other shards
-- ARGV  1 in msgpack, a list of
--         1 the epoch that must be stored ('' for none)  2 new epoch  3 the layout that must be stored  4 new layout
--         5 configuration's version  6 its JSON  7 where every lane begins ('' for where it stands), the frontier too
--         8 the lanes' fields, in the order of their pools  9 how many other shards
--         10 the checkpoints that must be stored ('' for none), of the shard and, for another layout, of the others: 7 was
--            chosen by what was read beside them, and Redis may have gone back since
--         11 up to where each partition's frames are counted, for all shards of another layout ('' where none is needed)
-- Returns {started, up to where frames are counted or '', the same for each partition or '', position or '', ...}
-- or {epoch | layout | checkpoint | led, what is stored or the lease}.

local wanted_epoch, new_epoch, wanted_layout, new_layout, version, configuration, start, fields, others,
  checkpoints, counted =
  unpack(cmsgpack.unpack(ARGV[1]))
local epoch = redis.call('HGET', KEYS[1], 'epoch') or ''
if epoch ~= wanted_epoch then return {'epoch', epoch} end
local layout = redis.call('GET', KEYS[2]) or ''
if layout ~= wanted_layout then return {'layout', layout} end

local lanes = #fields
for at, wanted in ipairs(checkpoints) do
  local checkpoint = redis.call('HGET', at == 1 and KEYS[1] or KEYS[2 + lanes + others + at], 'checkpoint') or ''
  if checkpoint ~= wanted then return {'checkpoint', checkpoint} end
end
local is_new_layout = layout ~= '' and layout ~= new_layout
if is_new_layout then
  for at = 4 + lanes, 3 + lanes + others do
    if redis.call('EXISTS', KEYS[at]) == 1 then return {'led', KEYS[at]} end
  end
  for at = 4 + lanes + others, #KEYS do
    hash('HDEL', KEYS[at])
    may('HSET', KEYS[at])
  end
end
-- Under another layout each shard counts after the start what was not counted before.
local counts_again = is_new_layout and counted ~= ''
local answer = {
  'started',
  counts_again and start or redis.call('HGET', KEYS[1], 'counted') or '',
  counts_again and counted or redis.call('HGET', KEYS[1], 'counted_of') or '',
}
for lane = 1, lanes do
  local pool, field = KEYS[3 + lane], fields[lane]
  answer[lane + 3] = start ~= '' and start or redis.call('HGET', pool, field) or ''
  if start ~= '' then hash('HSET', pool) end
end
may('HSET', KEYS[1])
may('SET', KEYS[2])
hash('HSET', KEYS[3])

if is_new_layout then
  for at = 4 + lanes + others, #KEYS do
    redis.call('HDEL', KEYS[at], 'epoch')
    if start ~= '' then redis.call('HSET', KEYS[at], 'frontier', start) end
    if counts_again then redis.call('HSET', KEYS[at], 'counted', start, 'counted_of', counted) end
  end
end
if start ~= '' then
  for lane = 1, lanes do redis.call('HSET', KEYS[3 + lane], fields[lane], start) end
  redis.call('HSET', KEYS[1], 'frontier', start, 'checkpoint', 'claim ' .. new_epoch .. ' ' .. start)
end
if counts_again then redis.call('HSET', KEYS[1], 'counted', start, 'counted_of', counted) end
redis.call('HSET', KEYS[1], 'epoch', new_epoch)
redis.call('SET', KEYS[2], new_layout)
redis.call('HSET', KEYS[3], version, configuration)
return answer
