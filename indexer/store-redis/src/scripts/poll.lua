-- Where Redis stands, if it is still the server that the epoch began on.
-- KEYS: meta
-- Answer: {'same', epoch, revision, total, cp_total, cp_bytes} or {'server'}
local run = string.match(redis.call('INFO', 'server'), 'run_id:(%x+)')
local meta = redis.call('HMGET', KEYS[1],
  'epoch', 'revision', 'server', 'total', 'cp_total', 'cp_bytes')
if not meta[1] or meta[3] ~= run then return {'server'} end
return {'same', meta[1], meta[2], meta[4], meta[5], meta[6]}
