-- The backlog: jobs that have not ended, and what they keep in Redis, under the account's ceilings. `taken` counts the
-- jobs that were registered, and each end is counted anyway, so the open ones cost an end no command. With a
-- ceiling of bytes each job's record says what was counted for it (`bytes`), and document-uses has a document's size
-- (`DIGEST:bytes`) beside the count of its uses: what is counted is taken off again by the same number, whatever happens
-- in between.
local DONE = { 'done:delivered', 'done:failed', 'done:canceled', 'done:unconfirmed' }

-- open: jobs that have not ended. bytes: what is counted of them. The steady clock comes along.
local function read_backlog()
  local values = redis.call('HMGET', keys.account_state, 'seen', 'skew', 'taken', 'bytes', unpack(DONE))
  keep_steady(values[1], values[2])
  local open = tonumber(values[3]) or 0
  for i = 1, #DONE do open = open - (tonumber(values[i + 4]) or 0) end
  return { open = open, bytes = tonumber(values[4]) or 0, taken = 0, kept = 0 }
end

-- What the record keeps of a job beside its fixed fields and its history.
local function weight_of(fields) return #(fields.request or '') + #(fields.metadata or '') end

-- What the documents of these digests add that are not counted yet: the sum, and each one's size.
local function weigh_documents(digests, sizes)
  local sum = 0
  for digest in string.gmatch(digests or '', '[^,]+') do
    if not sizes[digest] and redis.call('HEXISTS', keys.document_uses, digest .. ':bytes') == 0 then
      sizes[digest] = redis.call('STRLEN', keys.document .. digest)
      sum = sum + sizes[digest]
    end
  end
  return sum
end

-- Notes the sizes; each is counted by whoever notes it.
local function note_documents(sizes)
  for digest, size in pairs(sizes) do
    redis.call('HSET', keys.document_uses, digest .. ':bytes', int(size))
  end
end

local function full(name, ceiling, more)
  return { reason = 'backlog_full', message = 'the backlog is full: with this entry it would be above the ceiling of '
    .. int(ceiling) .. ' ' .. name .. more }
end

-- Whether these jobs, all of one entry, have room: nil, or the rejection. `backlog` is read once a batch (nil where no
-- ceiling is set); `sizes` gets the sizes of documents that they bring.
local function no_room(options, backlog, jobs, sizes)
  if not backlog or #jobs == 0 then return nil end
  local open = backlog.open + backlog.taken + #jobs
  if options.ceiling_jobs > 0 and open > options.ceiling_jobs then
    return full('jobs that have not ended', options.ceiling_jobs,
      ' (FAXLINE_CEILINGS__JOBS); push it again once jobs have ended')
  end
  if options.ceiling_bytes == 0 then return nil end
  local weight = 0
  for _, job in ipairs(jobs) do
    job.fields.bytes = int(weight_of(job.fields))
    weight = weight + weight_of(job.fields) + weigh_documents(job.fields.documents, sizes)
  end
  if backlog.bytes + backlog.kept + weight > options.ceiling_bytes then
    return full('bytes that jobs keep', options.ceiling_bytes,
      ' (FAXLINE_CEILINGS__BYTES); push it again once jobs have ended')
  end
  backlog.kept = backlog.kept + weight
  note_documents(sizes)
  return nil
end

-- The jobs of a batch are counted, at its end. Without a ceiling nothing is: a dispatcher that starts with one counts what
-- is there (init_account).
local function count_taken(options, backlog)
  if not backlog then return end
  if options.ceiling_jobs > 0 and backlog.taken > 0 then
    redis.call('HINCRBY', keys.account_state, 'taken', int(backlog.taken))
  end
  if backlog.kept > 0 then redis.call('HINCRBY', keys.account_state, 'bytes', int(backlog.kept)) end
end
