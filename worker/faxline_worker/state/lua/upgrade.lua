-- upgrade: brings some records, and some sizes of documents, to the present layout. Called again it finds nothing to do.
-- include: clock record backlog
-- ARGV  JSON options, layout, JSON list of job ids, JSON list of digests in document-uses, 1: only look
-- reply JSON {records (of an older layout), counted (jobs newly under the ceiling of bytes), freed (of jobs that ended in
--       an older process, and sizes of documents that no job needs)}
local options, layout, look = cjson.decode(ARGV[1]), ARGV[2], ARGV[5] == '1'
local done, bytes, uses = { records = 0, counted = 0, freed = 0 }, 0, keys.document_uses

for _, id in ipairs(cjson.decode(ARGV[3])) do
  local key = keys.job .. id
  local job = read_record(key, 'request', true) -- a newer record stays as it is
  local fields = {}
  local function set(name, value)
    table.insert(fields, name)
    table.insert(fields, value)
  end
  if job and FINAL[job.state] then
    if job.bytes then -- it ended in a process that knew nothing of it
      done.freed = done.freed + 1
      bytes = bytes - tonumber(job.bytes)
      set('bytes', '')
    end
  elseif job then
    if job.v ~= layout then
      done.records = done.records + 1
      set('v', layout)
    end
    if options.ceiling_bytes > 0 and not job.bytes then
      local sizes, weight = {}, weight_of(job)
      done.counted = done.counted + 1
      bytes = bytes + weight + weigh_documents(job.documents, sizes)
      set('bytes', int(weight))
      if not look then note_documents(sizes) end
    end
  end
  if #fields > 0 and not look then redis.call('HSET', key, unpack(fields)) end
end
for _, digest in ipairs(cjson.decode(ARGV[4])) do
  local counted = redis.call('HMGET', uses, digest, digest .. ':bytes')
  if counted[2] and not counted[1] then
    done.freed = done.freed + 1
    bytes = bytes - tonumber(counted[2])
    if not look then redis.call('HDEL', uses, digest .. ':bytes') end
  end
end
if bytes ~= 0 and not look then redis.call('HINCRBY', keys.account_state, 'bytes', int(bytes)) end
return cjson.encode(done)
