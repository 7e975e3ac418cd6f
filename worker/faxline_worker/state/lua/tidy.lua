-- tidy: deletes what has outlived its time after the end of jobs: documents that no job needs, and requests.
-- include: clock streams_aside
-- ARGV  the most items of each kind
-- reply how many went, and 1 where more of a kind may be due
local most, gone, more = tonumber(ARGV[1]), 0, 0
local function due(key)
  local found = redis.call('ZRANGEBYSCORE', key, '-inf', int(now), 'LIMIT', 0, most)
  if #found == most then more = 1 end
  return found
end

-- An entry that waits in intake may name a document, and came in one step with its content or with the wish that it
-- lives on. So a document goes only while no entry waits; what comes later brings the content along.
if redis.call('XLEN', keys.intake) == 0 and not waits_aside('intake') then
  for _, digest in ipairs(due(keys.released)) do
    if redis.call('HEXISTS', keys.document_uses, digest) == 0 then
      gone = gone + redis.call('UNLINK', keys.document .. digest)
    end
    redis.call('ZREM', keys.released, digest)
  end
end
for _, id in ipairs(due(keys.outdated)) do
  redis.call('ZREM', keys.outdated, id)
  if redis.call('HLEN', keys.job .. id) > 0 then -- its retention may be over
    redis.call('HSET', keys.job .. id, 'request', '')
    gone = gone + 1
  end
end
return { gone, more }
