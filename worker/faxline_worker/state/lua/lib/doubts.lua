-- The doubts by recipient, so that a receipt with an unknown jobId finds the request that it may answer (matching.lua). The
-- members are number|admitted_at|job with one score, so they are ordered by number and then by time.
local function doubt_of(job, id)
  return (job.number or '') .. '|' .. string.format('%015.0f', tonumber(job.admitted_at) or 0) .. '|' .. id
end

-- The field of the record that holds the doubt of one attempt, so that its late answer finds it.
local function doubt_field(token) return 'doubt:' .. token end

-- Until the deadline a receipt may tell; it is found by the number. Of a fax that iFax keeps for a date none comes before that.
local function enter_doubt(options, job, member)
  local until_date = math.max(0, (tonumber(job.send_at) or 0) - now)
  redis.call('ZADD', keys.doubts, 0, member)
  redis.call('ZADD', keys.doubts_until, int(steady + until_date + options.doubt + options.deadline), member)
end

-- Of a request for whose word the job does not wait, although iFax may have it: its receipt is about no other fax.
local function keep_doubt(options, id, job, token)
  local member = doubt_of(job, id)
  redis.call('HSET', keys.job .. id, doubt_field(token), member)
  enter_doubt(options, job, member)
end

local function forget_doubt(member)
  redis.call('ZREM', keys.doubts, member)
  redis.call('ZREM', keys.doubts_until, member)
end
