-- Takes or keeps the right to write checkpoints, and gives a number for the next.
-- KEYS: lease, meta
-- ARGV: token, milliseconds, `1` to ask for a number
-- Answer: 0 if another has it; else 1, or the checkpoint's number
local holder = redis.call('GET', KEYS[1])
if holder and holder ~= ARGV[1] then return 0 end
redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
if ARGV[3] == '1' then return redis.call('HINCRBY', KEYS[2], 'cp_last', 1) end
return 1
