-- forget: erases a job that has ended, and what only it left behind. A jobId that stood for the job stands for none, and a
-- call whose answer may still come is noted: neither finds another fax that has the id by then.
-- include: clock record doubts streams_aside unmatched
-- ARGV  job id
-- reply done, gone (there is no such job), or the state of one that has not come to its end: it stays
local NOBODY = '!' -- no id can be that
local LATE = 7 * 86400000 -- ms within which a process that stood still may answer
local id, fields = ARGV[1], {}
local flat = redis.call('HGETALL', keys.job .. id)
for i = 1, #flat, 2 do fields[flat[i]] = flat[i + 1] end
refuse_newer(fields.v)
if not fields.state then return 'gone' end
if not FINAL[fields.state] then return fields.state end
for name, value in pairs(fields) do
  local job_id = string.sub(name, 1, 2) == 'h:' and string.match(value, '"jobId":(%d+)') or string.match(name, '^also:(.*)')
    or name == 'named' and string.match(value, ' (%d+)$')
  local owner = job_id and redis.call('GET', keys.job_ids .. job_id)
  if is_receipt(owner) then owner = cjson.decode(owner).of end
  if owner == id then redis.call('SET', keys.job_ids .. job_id, NOBODY, 'KEEPTTL') end
  local token = string.match(name, '^doubt:(.*)') or (name == 'permit' or name == 'settled') and value ~= '' and value
  if token then redis.call('SET', keys.forgotten .. token, '1', 'PX', LATE) end
  if string.sub(name, 1, 6) == 'doubt:' then forget_doubt(value) end
end
for digest in string.gmatch(fields.freed or '', '[^,]+') do -- those that wait for the end of their grace
  if redis.call('ZSCORE', keys.released, digest) and redis.call('HEXISTS', keys.document_uses, digest) == 0 then
    if redis.call('XLEN', keys.intake) == 0 and not waits_aside('intake') then
      redis.call('ZREM', keys.released, digest)
      redis.call('UNLINK', keys.document .. digest)
    else -- an entry may name it
      redis.call('ZADD', keys.released, int(now), digest)
    end
  end
end
redis.call('ZREM', keys.expiring, id)
redis.call('ZREM', keys.outdated, id)
if fields.group then
  redis.call('SREM', keys.group .. fields.group, id)
  redis.call('DEL', keys.group .. fields.group .. '!size') -- it counted the job, too
end
redis.call('UNLINK', keys.job .. id)
return 'done'
