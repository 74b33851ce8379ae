-- Takes up the history, and begins a new epoch where Redis is not what it was.
-- KEYS: meta, stream
-- ARGV: a fresh revision, the revision that the caller has seen (or 0)
-- Answer: {what, epoch, revision, publishers, origin, total, checkpoint number,
--          its revision, its pieces, its bytes, its total}
local run = string.match(redis.call('INFO', 'server'), 'run_id:(%x+)')
local meta = redis.call('HMGET', KEYS[1], 'epoch', 'revision', 'server')
local what = 'same'
local function begin(revision)
  local text = string.format('%.0f', revision)
  redis.call('HSET', KEYS[1], 'epoch', text, 'revision', text, 'server', run)
  return text
end
if not meta[1] then
  if redis.call('EXISTS', KEYS[2]) == 1 then
    return {'damaged'}
  end
  local text = begin(tonumber(ARGV[1]))
  redis.call('HSET', KEYS[1], 'origin', text, 'publishers', 0, 'total', 0,
    'cp', 0, 'cp_revision', 0, 'cp_pieces', 0, 'cp_bytes', 0, 'cp_total', 0, 'cp_last', 0)
  what = 'fresh'
else
  local revision = tonumber(meta[2])
  if meta[3] ~= run or revision < tonumber(ARGV[2]) then
    local next = math.max(revision + 1, tonumber(ARGV[2]) + 1, tonumber(ARGV[1]))
    local text = begin(next)
    -- Readers learn from this entry where the epoch before it ended.
    redis.call('XADD', KEYS[2], text .. '-0', 'a', meta[2])
    what = 'epoch'
  end
end
local now = redis.call('HMGET', KEYS[1], 'epoch', 'revision', 'publishers', 'origin', 'total',
  'cp', 'cp_revision', 'cp_pieces', 'cp_bytes', 'cp_total')
table.insert(now, 1, what)
return now
