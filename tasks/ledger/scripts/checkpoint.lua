-- Writes what ingest itself knows: how far everything is decided, frame counters, refused frames. Once, or not at all.
--
-- KEYS  1 shard  2 counters  3 dead letters  then the lanes' pools, one for each lane
-- ARGV  1 in msgpack, a list of
--         1 epoch  2 this checkpoint's name, never used twice  3 frontier  4 up to where frames are counted with this one
--         5 a frame that was read ('' for none)  6 dead letters kept  7 the dead letters
--         8 for each lane its field and where ingest knows it to stand ('' for nowhere)  9 counter, increment, ...
-- Returns written | repeat | epoch | fallen: a lane stands below that, so Redis went back in time, and what the frontier
-- says is not true any more.

local epoch, name, frontier, counted, read, kept, letters, lanes, counts = unpack(cmsgpack.unpack(ARGV[1]))
if redis.call('HGET', KEYS[1], 'epoch') ~= epoch then return 'epoch' end
local last = redis.call('HGET', KEYS[1], 'checkpoint') or ''
if string.sub(last, 1, #name + 1) == name .. ' ' then return 'repeat' end

local current = string.match(frontier, '^(.*)@')
for lane = 1, #lanes / 2 do
  local field, known = lanes[2 * lane - 1], lanes[2 * lane]
  local stored = redis.call('HGET', KEYS[3 + lane], field)
  if known ~= '' and known ~= stored then
    local source, seq = string.match(known, '^(.*)@(%d+)$')
    local now, at = string.match(stored or '', '^(.*)@(%d+)$')
    if now == source and tonumber(at) < tonumber(seq) or now ~= source and now ~= current then return 'fallen' end
  end
end

may('HSET', KEYS[1])
if letters[1] then stream('XADD', KEYS[3]) end
if counts[1] then hash('HINCRBY', KEYS[2]) end

for _, letter in ipairs(letters) do
  redis.call('XADD', KEYS[3], 'MAXLEN', '~', kept, '*', 'letter', letter)
end
-- A counter that is full, or no number, must not end the script: its letters are written.
for at = 1, #counts, 2 do
  redis.pcall('HINCRBY', KEYS[2], counts[at], counts[at + 1])
end
-- The frontier once more, with its epoch: see `ingest/ledger/stored_shard.py`.
local again = name .. ' ' .. epoch .. ' ' .. frontier
redis.call('HSET', KEYS[1], 'checkpoint', again, 'frontier', frontier, 'counted', counted)
if read ~= '' then redis.call('HSET', KEYS[1], 'read', read) end
return 'written'
