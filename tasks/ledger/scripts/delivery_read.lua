-- Reads the signals behind a delivery's position, for the process that holds its lease; its first read decides where it
-- begins.
--
-- KEYS  1 the delivery  2 its lease
-- ARGV  1 who holds the lease  2 how many signals  3 where the first read begins: now, or start  4 the signals, which
--       its user may only read: Redis wants all rights to what is in KEYS
-- Returns {position, how many signals of the stream are passed, how many were ever added, how many it holds, signals};
-- nothing where somebody else holds the lease.

if redis.call('GET', KEYS[2]) ~= ARGV[1] then return {} end
local added, length, last = 0, 0, '0-0'
if redis.call('EXISTS', ARGV[4]) == 1 then
  local info, about = redis.call('XINFO', 'STREAM', ARGV[4]), {}
  for at = 1, #info, 2 do about[info[at]] = info[at + 1] end
  added, length, last = about['entries-added'], about['length'], about['last-generated-id']
end
local stored = redis.call('HMGET', KEYS[1], 'position', 'passed')
local is_new = not stored[1]
-- Where there were several ledgers, there is a word for each: the first is of this one.
local position, passed = string.match(stored[1] or '', '%S*'), tonumber(string.match(stored[2] or '0', '%S+'))
local is_moved = is_new or added < passed  -- where the stream is another one than before, it is read from its first signal
if is_moved then
  position, passed = '0-0', added - length
  if is_new and ARGV[3] == 'now' then position, passed = last, added end
end
local found = redis.call('XRANGE', ARGV[4], '(' .. position, '+', 'COUNT', ARGV[2])
if is_moved or position ~= stored[1] then redis.call('HSET', KEYS[1], 'position', position, 'passed', passed) end
return {position, passed, added, length, found}
