-- Writes what ingest itself knows: how far everything is decided, frame counters, refused frames. Once, or not at all.
--
-- KEYS  1 shard  2 counters  3 dead letters
-- ARGV  1 epoch  2 this checkpoint's name, never used twice  3 frontier  4 up to where frames are counted with this one
--       5 dead letters kept  6 how many letters follow, then the letters, then counter, increment, ...
-- Returns written | repeat | epoch.

if redis.call('HGET', KEYS[1], 'epoch') ~= ARGV[1] then return 'epoch' end
if redis.call('HGET', KEYS[1], 'checkpoint') == ARGV[2] then return 'repeat' end

local letters = tonumber(ARGV[6])
for at = 7, 6 + letters do
  redis.call('XADD', KEYS[3], 'MAXLEN', '~', ARGV[5], '*', 'letter', ARGV[at])
end
for at = 7 + letters, #ARGV, 2 do
  redis.call('HINCRBY', KEYS[2], ARGV[at], ARGV[at + 1])
end
redis.call('HSET', KEYS[1], 'checkpoint', ARGV[2], 'frontier', ARGV[3], 'counted', ARGV[4])
return 'written'
