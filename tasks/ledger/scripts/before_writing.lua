-- Stands before every script that writes more than once.
--
-- A script that Redis refuses half-way keeps what it has written. So a script asks for everything that it is about to
-- write with these, and writes only then: what is refused is refused before the first write. A write may be refused for
--   the user's rights: command, key, channel            `may`
--   what the key holds: another type, no more ids       `hash`, `stream`
--   a field that is no number                           `number`; counters use pcall: one of them is no reason to refuse
--   memory, a read-only replica, a save that failed     Redis asks this itself at a script's first write, and never later
-- The other way round - append under pcall, undo when something later is refused - needs rights of its own, which may
-- be refused too, and an undone append still shows; one that is made again instead stands there twice.

local function may(command, key)
  if not redis.acl_check_cmd(command, key) then error({err = 'NOPERM this user may not ' .. command .. ' ' .. key}) end
end

local function hash(command, key)
  may(command, key)
  local found = redis.pcall('HGET', key, '')
  if type(found) == 'table' then error({err = found.err .. ' (' .. key .. ')'}) end
end

local function stream(command, key)
  may(command, key)
  -- An id is two numbers of 64 bits, the first of them milliseconds, and the next one is higher than any before.
  local last = redis.pcall('XRANGE', key, '999999999999999999', '+', 'COUNT', '1')
  if last.err then error({err = last.err .. ' (' .. key .. ')'}) end
  if last[1] then error({err = 'ERR the ids of ' .. key .. ' are used up by ' .. last[1][1]}) end
end

local function number(command, key, field)
  may(command, key)
  local stored = redis.pcall('HGET', key, field)
  if type(stored) == 'table' then error({err = stored.err .. ' (' .. key .. ')'}) end
  if stored and stored ~= '0' and (#stored > 18 or not string.match(stored, '^[1-9]%d*$')) then
    error({err = 'ERR ' .. field .. ' of ' .. key .. ' is no number that can be added to'})
  end
end

