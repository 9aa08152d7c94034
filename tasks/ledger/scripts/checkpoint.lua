-- Writes what ingest itself knows: how far everything is decided, frame counters, refused frames. Once, or not at all.
--
-- KEYS  1 shard  2 counters  3 dead letters  then the lanes' pools, one for each lane
-- ARGV  1 epoch  2 this checkpoint's name, never used twice  3 frontier  4 up to where frames are counted with this one
--       5 a frame that was read ('' for none)  6 dead letters kept  7 how many letters follow, then the letters, then for each lane its field and where
--       ingest knows it to stand ('' for nowhere), then counter, increment, ...
-- Returns written | repeat | epoch | fallen: a lane stands below that, so Redis went back in time, and what the frontier
-- says is not true any more.

if redis.call('HGET', KEYS[1], 'epoch') ~= ARGV[1] then return 'epoch' end
if redis.call('HGET', KEYS[1], 'checkpoint') == ARGV[2] then return 'repeat' end

local letters, lanes = tonumber(ARGV[7]), #KEYS - 3
local current = string.match(ARGV[3], '^(.*)@')
local counts = 8 + letters + 2 * lanes
for lane = 1, lanes do
  local field, known = ARGV[6 + letters + 2 * lane], ARGV[7 + letters + 2 * lane]
  local stored = redis.call('HGET', KEYS[3 + lane], field)
  if known ~= '' and known ~= stored then
    local source, seq = string.match(known, '^(.*)@(%d+)$')
    local now, at = string.match(stored or '', '^(.*)@(%d+)$')
    if now == source and tonumber(at) < tonumber(seq) or now ~= source and now ~= current then return 'fallen' end
  end
end

may('HSET', KEYS[1])
if letters > 0 then stream('XADD', KEYS[3]) end
if counts <= #ARGV then hash('HINCRBY', KEYS[2]) end

for at = 8, 7 + letters do
  redis.call('XADD', KEYS[3], 'MAXLEN', '~', ARGV[6], '*', 'letter', ARGV[at])
end
-- A counter that is full, or no number, must not end the script: its letters are written.
for at = counts, #ARGV, 2 do
  redis.pcall('HINCRBY', KEYS[2], ARGV[at], ARGV[at + 1])
end
redis.call('HSET', KEYS[1], 'checkpoint', ARGV[2], 'frontier', ARGV[3], 'counted', ARGV[4])
if ARGV[5] ~= '' then redis.call('HSET', KEYS[1], 'read', ARGV[5]) end
return 'written'
