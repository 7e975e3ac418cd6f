-- The audit: a stream with each call to iFax and each operator's order, without content. Entries older than the retention go
-- (timer_streams.lua); those that an archive has still to read may become older, up to the ceiling.
local audit
do
  local AUDITED = { 'user', 'job', 'attempt', 'outcome', 'status', 'code', 'reason', 'jobId', 'ms', 'about' }

  -- who: the process or the operator. what: the call or the order. fields: those of AUDITED that are known; `about` is what an
  -- order is about besides a job, and `user` the Redis user who gave it.
  function audit(options, who, what, fields)
    local entry = { 'at', int(now), 'who', who, 'what', what }
    for _, name in ipairs(AUDITED) do
      local value = fields[name]
      if value ~= nil and value ~= '' then
        table.insert(entry, name)
        table.insert(entry, type(value) == 'number' and int(value) or value)
      end
    end
    redis.call('XADD', keys.audit, 'MINID', '~', int(math.max(0, now - options.audit_ceiling)), '*', unpack(entry))
  end
end
