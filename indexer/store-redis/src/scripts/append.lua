-- Commits batches that were judged on the headers in ARGV, or says what differs.
-- KEYS: meta, stream, one headers key per endpoint
-- ARGV: epoch, most publishers, most stream bytes, publishers added (or less 0),
--       per endpoint: version, `1` if it goes away, count, (rank, header or '')*
--       then the payloads, oldest first
-- Answer: {'done', last revision, publishers, total, cp_total, cp_bytes} or
--         {'server'} | {'epoch'} | {'stale', (endpoint, its hash)*}
--         | {'full', publishers} | {'capped', stream bytes, most}
local run = string.match(redis.call('INFO', 'server'), 'run_id:(%x+)')
local meta = redis.call('HMGET', KEYS[1],
  'epoch', 'revision', 'server', 'publishers', 'total', 'cp_total', 'cp_bytes')
if not meta[1] or meta[3] ~= run then return {'server'} end
if meta[1] ~= ARGV[1] then return {'epoch'} end

local endpoints, at = #KEYS - 2, 5
local places, stale = {}, {'stale'}
for i = 1, endpoints do
  places[i] = at
  local version = redis.call('HGET', KEYS[2 + i], 'v') or '0'
  if version ~= ARGV[at] then
    stale[#stale + 1] = i
    stale[#stale + 1] = redis.call('HGETALL', KEYS[2 + i])
  end
  at = at + 3 + 2 * tonumber(ARGV[at + 2])
end
if #stale > 1 then return stale end

local added = tonumber(ARGV[4])
if added > 0 and tonumber(meta[4]) + added > tonumber(ARGV[2]) then
  return {'full', meta[4]}
end
local bytes = 0
for i = at, #ARGV do bytes = bytes + #ARGV[i] end
local total, kept = tonumber(meta[5]), tonumber(meta[6])
local most = math.max(tonumber(ARGV[3]), 2 * tonumber(meta[7]))
if total - kept + bytes > most then
  return {'capped', string.format('%.0f', total - kept), string.format('%.0f', most)}
end

local revision = tonumber(meta[2])
local last = string.format('%.0f', revision + #ARGV - at + 1)
-- The entries first: they are what Redis itself could refuse, before anything
-- is written.
for i = at, #ARGV do
  revision = revision + 1
  total = total + #ARGV[i]
  redis.call('XADD', KEYS[2], string.format('%.0f-0', revision),
    'b', ARGV[i], 't', string.format('%.0f', total))
end
for i = 1, endpoints do
  local key, place = KEYS[2 + i], places[i]
  if ARGV[place + 1] == '1' then
    redis.call('DEL', key)
  else
    local count = tonumber(ARGV[place + 2])
    for field = place + 3, place + 1 + 2 * count, 2 do
      if ARGV[field + 1] == '' then
        redis.call('HDEL', key, ARGV[field])
      else
        redis.call('HSET', key, ARGV[field], ARGV[field + 1])
      end
    end
    if count > 0 then redis.call('HSET', key, 'v', last) end
  end
end
local sum = string.format('%.0f', total)
redis.call('HSET', KEYS[1], 'revision', last, 'total', sum)
local publishers = tonumber(meta[4])
if added ~= 0 then publishers = redis.call('HINCRBY', KEYS[1], 'publishers', added) end
return {'done', last, publishers, sum, meta[6], meta[7]}
