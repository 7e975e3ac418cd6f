-- The backlog: jobs that have not ended, and what they keep in Redis, under the account's ceilings. `taken` counts the jobs
-- that were registered; each end is counted anyway, so the number of open jobs costs no further command. Under a ceiling of
-- bytes, a job's record has what was counted for it (`bytes`), and document-uses has a document's size (`DIGEST:bytes`) beside
-- the count of its uses. So exactly what was counted is subtracted again, whatever happens in between.
local read_backlog
do
  local DONE = { 'done:delivered', 'done:failed', 'done:canceled', 'done:unconfirmed' }

  -- open: how many jobs have not ended. bytes: what is counted for them. archive: since when one is on, or false. This also
  -- sets the steady clock.
  function read_backlog()
    local values = redis.call('HMGET', keys.account_state, 'seen', 'skew', 'taken', 'bytes', 'archive', unpack(DONE))
    keep_steady(values[1], values[2])
    local open = tonumber(values[3]) or 0
    for i = 1, #DONE do open = open - (tonumber(values[i + 5]) or 0) end
    return { open = open, bytes = tonumber(values[4]) or 0, archive = values[5], taken = 0, kept = 0, sizes = {} }
  end
end

-- The bytes that the record keeps of a job besides its fixed fields and its history.
local function weight_of(fields) return #(fields.request or '') + #(fields.metadata or '') end

-- The bytes of those documents that are not counted yet. Their sizes are added to `sizes`.
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

-- Stores the sizes. Whoever stores a size also counts it.
local function note_documents(sizes)
  for digest, size in pairs(sizes) do
    redis.call('HSET', keys.document_uses, digest .. ':bytes', int(size))
  end
end

local refuse_if_full
do
  local function backlog_full(name, ceiling, more)
    return { reason = 'backlog_full', message = 'the backlog is full: with this entry it would be above the ceiling of '
      .. int(ceiling) .. ' ' .. name .. more }
  end

  -- Whether there is room for these jobs, all of one entry: nil, or the rejection. `backlog` is read once for a batch (nil
  -- without a ceiling). What the jobs bring is collected in it until count_taken, because a later entry may raise.
  function refuse_if_full(options, backlog, jobs)
    if not backlog or #jobs == 0 then return nil end
    local open = backlog.open + backlog.taken + #jobs
    if options.ceiling_jobs > 0 and open > options.ceiling_jobs then
      return backlog_full('jobs that have not ended', options.ceiling_jobs,
        ' (FAXLINE_CEILINGS__JOBS); push it again once jobs have ended')
    end
    if options.ceiling_bytes == 0 then return nil end
    local weight, sizes = 0, setmetatable({}, { __index = backlog.sizes })
    for _, job in ipairs(jobs) do
      job.fields.bytes = int(weight_of(job.fields))
      weight = weight + weight_of(job.fields) + weigh_documents(job.fields.documents, sizes)
    end
    if backlog.bytes + backlog.kept + weight > options.ceiling_bytes then
      return backlog_full('bytes that jobs keep', options.ceiling_bytes,
        ' (FAXLINE_CEILINGS__BYTES); push it again once jobs have ended')
    end
    backlog.kept = backlog.kept + weight
    for digest, size in pairs(sizes) do backlog.sizes[digest] = size end
    return nil
  end
end

-- Counts the jobs of a batch at its end. Without a ceiling nothing is counted: a dispatcher that starts with one counts
-- what is there (init_account).
local function count_taken(options, backlog)
  if not backlog then return end
  if options.ceiling_jobs > 0 and backlog.taken > 0 then
    redis.call('HINCRBY', keys.account_state, 'taken', int(backlog.taken))
  end
  if backlog.kept > 0 then redis.call('HINCRBY', keys.account_state, 'bytes', int(backlog.kept)) end
  note_documents(backlog.sizes)
end
