-- Moves a delivery's position on, if the process still holds its lease and the position is where it read on from.
--
-- KEYS  1 the delivery  2 its lease  3 dead letters
-- ARGV  1 who holds the lease  2 position before, or nothing  3 position now  4 how many signals are passed now  5 kind
--       6 dead letters kept  7 a dead letter, or nothing  then counters, each with what is added to it
-- Returns whether it is written.

local position = redis.call('HGET', KEYS[1], 'position') or ''
if redis.call('GET', KEYS[2]) ~= ARGV[1] or position ~= ARGV[2] then return 0 end
hash('HSET', KEYS[1])
for at = 8, #ARGV, 2 do number('HINCRBY', KEYS[1], ARGV[at]) end
if ARGV[7] ~= '' then stream('XADD', KEYS[3]) end

if ARGV[7] ~= '' then redis.call('XADD', KEYS[3], 'MAXLEN', '~', ARGV[6], '*', 'letter', ARGV[7]) end
redis.call('HSET', KEYS[1], 'position', ARGV[3], 'passed', ARGV[4], 'kind', ARGV[5])
for at = 8, #ARGV, 2 do redis.call('HINCRBY', KEYS[1], ARGV[at], ARGV[at + 1]) end
return 1
