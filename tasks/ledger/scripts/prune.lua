-- Removes what the ledger holds of idle symbols: of each symbol all of it, or, where anything changed since it was read,
-- nothing. A run that read before can't commit any more: see `commit.lua`.
--
-- KEYS  1 resets  2 audit  then the pools
-- ARGV  1 resets kept
--       2 in msgpack, for each symbol a list of
--           1 number of a pool from 1, field, what it must hold ('' for nothing), ...  2 ids of its audit lines
--       3 in msgpack, for each pool the pruning as JSON
-- Returns for each symbol 1: removed, or 0: it changed.

local symbols, abouts = cmsgpack.unpack(ARGV[2]), cmsgpack.unpack(ARGV[3])
local answers, states, pruned = {}, {}, {}

local function is_unchanged(fields)
  for at = 1, #fields, 3 do
    if (redis.call('HGET', KEYS[2 + fields[at]], fields[at + 1]) or '') ~= fields[at + 2] then return false end
  end
  return true
end

local function remove(fields, lines)
  local seen = {}
  for at = 1, #fields, 3 do
    local pool, field = fields[at], fields[at + 1]
    if redis.call('HDEL', KEYS[2 + pool], field) == 1 then
      seen[pool] = true
      if string.sub(field, 1, 7) ~= 'record:' then states[pool] = (states[pool] or 0) + 1 end
    end
  end
  for pool in pairs(seen) do pruned[pool] = (pruned[pool] or 0) + 1 end
  for at = 1, #lines, 1000 do  -- unpack fails near 8,000 values
    redis.call('XDEL', KEYS[2], unpack(lines, at, math.min(at + 999, #lines)))
  end
end

stream('XADD', KEYS[1])
stream('XDEL', KEYS[2])
for at = 1, #abouts do
  hash('HDEL', KEYS[2 + at])
  number('HINCRBY', KEYS[2 + at], 'resets')
end

for at, symbol in ipairs(symbols) do
  answers[at] = is_unchanged(symbol[1]) and 1 or 0
  if answers[at] == 1 then remove(symbol[1], symbol[2]) end
end
for pool, count in pairs(pruned) do
  redis.call('HINCRBY', KEYS[2 + pool], 'resets', 1)
  redis.call('XADD', KEYS[1], 'MAXLEN', '~', ARGV[1], '*', 'reset', abouts[pool], 'states', states[pool] or 0,
    'symbols', count)
end
return answers
