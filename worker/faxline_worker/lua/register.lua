-- register: a batch of intake entries becomes jobs, rejections or nothing (a repeat), and leaves the stream.
-- include: clock bell record lines backlog
-- KEYS  intake, account, ready, expiring, events, job prefix
-- ARGV  consumer group, JSON options, JSON list of items:
--         {entry, reject = {job, member, reason, message}, unless = [{id, digest}] (all of these jobs are known: it is a
--         repeat)} or {entry, name, jobs = [{id, digest, rank, fields…}]}
-- reply JSON list, one an item: registered, repeated, rejected or gone, with the reason of a rejection
local keys = { intake = KEYS[1], account = KEYS[2], ready = KEYS[3], expiring = KEYS[4], events = KEYS[5],
  job = KEYS[6] }
local group, options = ARGV[1], cjson.decode(ARGV[2])
local cap = options.cap
local backlog = (options.ceiling_jobs > 0 or options.ceiling_bytes > 0) and read_backlog(keys) or nil

local function reject(entry, r)
  emit(keys.events, cap, 'fax.rejected', r.job or '', to_json(
    { state = 'rejected', member = r.member, reason = r.reason, message = r.message, entry = entry }, nil, nil))
  return { 'rejected', r.reason }
end

local function repeats(jobs)
  for _, job in ipairs(jobs or {}) do
    if redis.call('HGET', keys.job .. job.id, 'digest') ~= job.digest then return false end
  end
  return jobs ~= nil
end

local function refusal(job)
  local held = redis.call('HGET', keys.job .. job.id, 'digest')
  if held then
    if held == job.digest then return 'repeated' end
    return { job = job.id, member = 'id', reason = 'id_reused',
      message = 'this id belongs to a job with other content; take a new id' }
  end
  if job.of then
    local origin = read_record(keys.job .. job.of)
    local job_id = origin and (origin.job_id or origin.resend_of)
    if not origin then
      return { job = job.id, member = 'of', reason = 'unknown_job', message = 'no such job on this account' }
    elseif not job_id then
      return { job = job.id, member = 'of', reason = 'unknown_job', message = 'that job has no iFax jobId to resend' }
    end
    job.fields.request = '{"jobId":' .. job_id .. (job.fields.number and
      ',"faxNumber":"' .. job.fields.number .. '"' or '') .. '}'
    job.fields.number = job.fields.number or origin.number
    for _, name in ipairs({ 'sender', 'known_pages', 'cover' }) do job.fields[name] = origin[name] end
  end
  return nil
end

-- A group's name that is used for ever must not keep the ids of jobs long forgotten: every tenth that is added, twenty
-- are looked at, so that at most about half of a group is such ids.
local SOME, EVERY = 20, 10
local function thin_out(group)
  local members, keys_of = redis.call('SRANDMEMBER', group, SOME), {}
  for i, id in ipairs(members) do keys_of[i] = keys.job .. id end
  if redis.call('EXISTS', unpack(keys_of)) == #members then return end
  for i, id in ipairs(members) do
    if redis.call('EXISTS', keys_of[i]) == 0 then redis.call('SREM', group, id) end
  end
end

local place = 0 -- and so many are taken
local function store(job)
  place = place + 1
  if backlog then backlog.taken = place end
  local send_at = tonumber(job.fields.send_at)
  if send_at and send_at <= now then send_at = nil end -- at once
  local record = { state = 'queued', attempt = 0, n = 0, metadata = job.fields.metadata }
  job.fields.place = int(job.rank * STRIDE + (send_at and send_at * 1000 or now_us) - EPOCH_US + place)
  job.fields.digest = job.digest
  job.fields.created_at = int(now)
  job.fields.state = 'queued'
  if send_at and job.fields.schedule == 'local' then
    redis.call('ZADD', beside(keys, 'delayed'), int(send_at), job.id)
    ring_by_alarm(keys, send_at)
  else
    enter_ready(keys, job.id, job.fields)
  end
  if job.fields.documents then need_documents(keys, job.fields.documents) end
  local name = job.fields.group and beside(keys, 'group:' .. job.fields.group)
  if name then redis.call('SADD', name, job.id) end
  if job.fields.expires_at then redis.call('ZADD', keys.expiring, job.fields.expires_at, job.id) end
  transition(keys, cap, job.id, record, 'fax.queued', job.fields, { send_at = send_at })
  if name and (now + place) % EVERY == 0 then thin_out(name) end
end

-- An entry that another dispatcher has registered is no longer pending (it comes here unread by none).
local items, pending = cjson.decode(ARGV[3]), {}
for _, entry in ipairs(redis.call('XPENDING', keys.intake, group, items[1].entry, items[#items].entry, 100000)) do
  pending[entry[1]] = true
end

local replies, done = {}, {}
for i, item in ipairs(items) do
  if not pending[item.entry] then
    replies[i] = { 'gone', '' }
  elseif item.reject then
    replies[i] = repeats(item.unless) and { 'repeated', '' } or reject(item.entry, item.reject)
  else
    local answer, fresh = nil, {}
    for _, job in ipairs(item.jobs) do
      local r = refusal(job)
      if type(r) == 'table' then answer = reject(item.entry, r) break end
      if not r then table.insert(fresh, job) end
    end
    local none = not answer and no_room(keys, options, backlog, fresh, {})
    if none then
      none.job, none.member = item.name or item.jobs[1].id, ''
      answer = reject(item.entry, none)
    end
    if not answer then
      for _, job in ipairs(fresh) do store(job) end
      answer = { #fresh > 0 and 'registered' or 'repeated', '' }
    end
    replies[i] = answer
  end
  table.insert(done, item.entry)
end
count_taken(keys, options, backlog)
redis.call('XACK', keys.intake, group, unpack(done))
redis.call('XDEL', keys.intake, unpack(done))
return cjson.encode(replies)
