-- Makes a checkpoint the one in force, and lets go of what it stands for.
-- KEYS: meta, stream, lease, the pieces
-- ARGV: token, epoch, number, revision, bytes, total
-- Answer: {'done', old number, old pieces} or {'lease'} | {'epoch'} | {'older'}
--         | {'lost'}
local run = string.match(redis.call('INFO', 'server'), 'run_id:(%x+)')
if redis.call('GET', KEYS[3]) ~= ARGV[1] then return {'lease'} end
local meta = redis.call('HMGET', KEYS[1],
  'epoch', 'revision', 'server', 'cp', 'cp_revision', 'cp_pieces')
if meta[1] ~= ARGV[2] or meta[3] ~= run then return {'epoch'} end
if tonumber(meta[5]) >= tonumber(ARGV[4]) or tonumber(meta[2]) < tonumber(ARGV[4]) then
  return {'older'}
end
-- Pieces are written with an expiry, so that one that is given up leaves nothing.
for i = 4, #KEYS do
  if redis.call('EXISTS', KEYS[i]) == 0 then return {'lost'} end
end
for i = 4, #KEYS do redis.call('PERSIST', KEYS[i]) end
redis.call('HSET', KEYS[1], 'cp', ARGV[3], 'cp_revision', ARGV[4], 'cp_pieces', #KEYS - 3,
  'cp_bytes', ARGV[5], 'cp_total', ARGV[6])
redis.call('XTRIM', KEYS[2], 'MINID', string.format('%.0f-0', tonumber(ARGV[4]) + 1))
return {'done', meta[4], meta[6]}
