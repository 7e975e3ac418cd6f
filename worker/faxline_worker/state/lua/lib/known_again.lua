-- A fax of which only the id was known (recover) is pushed again: its record gets back what a receipt names it by, so that
-- the receipt finds the fax's doubts.
local function know_again(job)
  local record, changes = read_record(keys.job .. job.id), {}
  if record.number or not job.fields.number then return end
  for _, name in ipairs({ 'number', 'sender', 'known_pages', 'cover', 'metadata' }) do
    if job.fields[name] then
      record[name] = job.fields[name]
      table.insert(changes, name)
      table.insert(changes, record[name])
    end
  end
  local all = redis.call('HGETALL', keys.job .. job.id)
  for i = 1, #all, 2 do
    local field, doubt = all[i], all[i + 1]
    local until_ms = string.sub(field, 1, 6) == 'doubt:' and redis.call('ZSCORE', keys.doubts_until, doubt)
    if until_ms then
      forget_doubt(doubt)
      local member = record.number .. doubt
      redis.call('ZADD', keys.doubts, 0, member)
      redis.call('ZADD', keys.doubts_until, until_ms, member)
      table.insert(changes, field)
      table.insert(changes, member)
    end
  end
  redis.call('HSET', keys.job .. job.id, unpack(changes))
end
