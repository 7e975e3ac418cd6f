-- Old entries of the audit go; and of events and audit none that an archive has still to read, up to their ceilings, which
-- `emit` and `audit` keep to.
local trim_streams
do
  local TRIMMED = 10000 -- entries that one call drops at most

  -- While an archive is on, `emit` trims at the ceiling. Beyond the cap what is archived goes.
  local function trim_archived(options, archived)
    local more = redis.call('XLEN', keys.events) - options.events_cap
    local id = string.match(archived or '', '^%S+')
    if more <= 0 or not id then return end
    redis.call('XTRIM', keys.events, 'MINID', '~', id, 'LIMIT', int(math.min(more, TRIMMED)))
  end

  function trim_streams(options)
    local oldest = int(math.max(0, math.min(now, steady) - options.audit))
    if options.archive then
      local marks = redis.call('HMGET', keys.account_state, 'archived_events', 'archived_audit')
      trim_archived(options, marks[1])
      local id, ms = string.match(marks[2] or '', '^((%d+)%S*)')
      if tonumber(ms or 0) < tonumber(oldest) then oldest = id or '0' end
    end
    redis.call('XTRIM', keys.audit, 'MINID', '~', oldest)
  end
end
