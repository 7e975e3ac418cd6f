-- The doubts by recipient, so that a receipt with an unknown jobId finds the request that it may answer (matching.lua). The
-- members are number|admitted_at|job with one score, so they are ordered by number and then by time.
local function doubt_of(job, id)
  return (job.number or '') .. '|' .. string.format('%015.0f', tonumber(job.admitted_at) or 0) .. '|' .. id
end

-- The field of the record that holds the doubt of one attempt, so that its late answer finds it.
local function doubt_field(token) return 'doubt:' .. token end

local function forget_doubt(member)
  redis.call('ZREM', keys.doubts, member)
  redis.call('ZREM', keys.doubts_until, member)
end
