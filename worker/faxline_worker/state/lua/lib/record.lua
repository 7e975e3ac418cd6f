-- A job's record: which fields there are, and how a script reads them.
local FINAL = { delivered = true, failed = true, canceled = true, unconfirmed = true }

-- The digest of a fax of which Redis lost the content (stand_ins.lua): it is no content's.
local LOST_DIGEST = '*'

-- A place in the ready set is the rank of the priority, then the time (us) of the registration since 2020, so that it stays
-- an exact double.
local EPOCH_US = 1577836800000000
local STRIDE = 2000000000000000

local read_record
do
  local RECORD = { 'state', 'attempt', 'n', 'metadata', 'place', 'permit', 'marked', 'job_id', 'priority',
    'created_at', 'number', 'tries', 'in_doubt', 'kind', 'submitted_at', 'expires_at', 'admitted_at', 'granted_at', 'settled',
    'doubted', 'sender', 'known_pages', 'cover', 'asked', 'also', 'group', 'attempts', 'deliveries',
    'resend_of', 'line', 'send_at', 'schedule', 'canceling', 'documents', 'bytes', 'v', 'refused_at', 'refusals',
    'quality', 'lowered', 'named', 'undecided', 'claimed', 'unsent', 'redial' }

  -- more: one further field to read, or nil. Raises if a newer layout than ours wrote the record. With `leave`, for the middle
  -- of a script, it returns nil and true instead.
  function read_record(key, more, leave)
    local values = redis.call('HMGET', key, more or 'state', unpack(RECORD))
    local job = {}
    for i, name in ipairs(RECORD) do
      if values[i + 1] ~= '' then job[name] = values[i + 1] or nil end
    end
    if more then job[more] = values[1] or nil end
    if leave and newer(job.v) then return nil, true end
    refuse_newer(job.v)
    if not job.state then return nil end
    job.attempt = tonumber(job.attempt) or 0
    job.tries = tonumber(job.tries) or 0
    job.n = tonumber(job.n) or 0
    return job
  end
end

-- Whether its next call is a resend of iFax's job. A fax of lowered quality is sent as a whole: fax-resend takes no quality.
local function is_resent(job) return job.resend_of and not job.lowered end

-- Whether expires_at has passed, for a job that was not submitted by then.
local function is_over(job) return job.expires_at and tonumber(job.expires_at) <= now end

-- Whether the jobId was found by a match of number and time alone (`match`). Then iFax may have another document under it: it is
-- never resent, only the fax itself is sent again.
local function is_guess(id, job_id) return redis.call('HEXISTS', keys.job .. id, 'guess:' .. job_id) == 1 end

-- A fax-resend of iFax's job. number: where it goes. A resend of a fax that was itself a resend names it always: iFax's
-- documentation leaves open whether such a one would go to the number of the first.
local function resend_request(job_id, number)
  return '{"jobId":' .. job_id .. (number and ',"faxNumber":"' .. number .. '"' or '') .. '}'
end
