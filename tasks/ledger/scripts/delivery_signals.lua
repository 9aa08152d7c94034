#!lua flags=no-writes
-- Reads the signals of one of several ledgers behind a delivery's position, which the first ledger keeps.
--
-- ARGV  1 the signals, which its user may only read: Redis wants all rights to what is in KEYS  2 position; nothing: it
--       has none here  3 how many signals of the stream are passed; -1: not known yet  4 how many signals  5 where it begins without a
--       position: now, or start
-- Returns {position, how many signals of the stream are passed, how many were ever added, how many it holds, signals}

local added, length, last = 0, 0, '0-0'
if redis.call('EXISTS', ARGV[1]) == 1 then
  local info, about = redis.call('XINFO', 'STREAM', ARGV[1]), {}
  for at = 1, #info, 2 do about[info[at]] = info[at + 1] end
  added, length, last = about['entries-added'], about['length'], about['last-generated-id']
end
local position, passed = ARGV[2], tonumber(ARGV[3])
if position == '' and ARGV[5] == 'now' then
  position, passed = last, added
elseif position == '' or added < passed then  -- another stream than before is read from its first signal
  position, passed = '0-0', added - length
elseif passed < 0 then
  local after, found = position, {}
  passed = added
  repeat
    found = redis.call('XRANGE', ARGV[1], '(' .. after, '+', 'COUNT', 1000)
    passed = passed - #found
    if #found > 0 then after = found[#found][1] end
  until #found == 0
end
return {position, passed, added, length, redis.call('XRANGE', ARGV[1], '(' .. position, '+', 'COUNT', ARGV[4])}
