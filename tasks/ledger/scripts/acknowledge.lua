-- Acknowledges signals of the stream, and keeps what is to be said of those that can't be published.
--
-- KEYS  1 signals  2 dead letters
-- ARGV  1 group  2 dead letters kept  3 how many letters follow, then the letters, then the signals' ids

local letters = tonumber(ARGV[3])
redis.call('XLEN', KEYS[1])  -- refused where it is no stream
may('XACK', KEYS[1])
if letters > 0 then stream('XADD', KEYS[2]) end

for at = 4, 3 + letters do
  redis.call('XADD', KEYS[2], 'MAXLEN', '~', ARGV[2], '*', 'letter', ARGV[at])
end
for at = 4 + letters, #ARGV, 1000 do  -- unpack fails near 8,000 values
  redis.call('XACK', KEYS[1], ARGV[1], unpack(ARGV, at, math.min(at + 999, #ARGV)))
end
