-- Trims the signal stream to its last ARGV[2] entries, but never below what the group ARGV[1] still has to relay.
-- KEYS 1 the stream. Returns how many entries went.

for _, group in ipairs(redis.call('XINFO', 'GROUPS', KEYS[1])) do
  local about = {}
  for i = 1, #group, 2 do about[group[i]] = group[i + 1] end
  if about['name'] == ARGV[1] and about['lag'] then
    local keep = math.max(tonumber(ARGV[2]), about['lag'] + about['pending'])
    return redis.call('XTRIM', KEYS[1], 'MAXLEN', '~', keep)
  end
end
return 0
