-- The matching rule: which doubt a receipt with an unknown jobId is about (ARCHITECTURE.md, Doubts).
local find_doubt
do
  -- When a receipt's call may have begun, from narrow to wide. The first that finds a doubt decides, so a wider one takes
  -- nothing from a doubt that a narrower one finds. `slack`: what iFax's clock and Redis' may differ; first as little as clocks
  -- that are kept in step do, so that of two doubts the one whose request was under way is meant. `later`: how long after
  -- its request the call may begin beyond that, because iFax may give the beginning of a call that it repeated by itself.
  -- `stepped`: Redis' clock may have been wrong, when the request was sent or since.
  local IN_STEP = 2000 -- ms; the doctor warns of a clock that differs by more
  local function windows(receipt, options)
    local slack, later = options.clock_slack, 0
    if not receipt.started then return { { slack = slack, later = 0 } } end
    local found = { { slack = math.min(slack, IN_STEP), later = 0 }, { slack = slack, later = 0 } }
    if receipt.redial and receipt.redial > 0 then
      later = math.min(receipt.redial * options.redial_wait, options.deadline)
      table.insert(found, { slack = slack, later = later })
    end
    table.insert(found, { slack = slack + (options.stepped or 0), later = later, stepped = true })
    return found
  end

  -- Whether a call that began at `started` (ms) may be about the request of a doubt {sent, by_now (ms)}.
  local function in_time(started, doubt, window)
    local function since(sent)
      return started >= sent - window.slack and started <= sent + doubt.lived + window.slack + window.later
    end
    return since(doubt.sent) or window.stepped and (doubt.by_now and since(doubt.by_now) or doubt.date and since(doubt.date))
  end

  -- Whether a receipt {sender, started (s), pages} may be about a request: the senders agree if both are known; the call
  -- began while the request lived; and the pages are those that were sent (a number, or a range such as 10-16), or more if a
  -- cover page may have been added.
  local function fits(receipt, doubt, window)
    if receipt.sender and doubt.sender and not same_number(receipt.sender, doubt.sender) then return false end
    if receipt.started and not in_time(receipt.started * 1000, doubt, window) then return false end
    local least, most = string.match(doubt.known_pages or '', '^(%d+)%-?(%d*)$')
    if not receipt.pages or not least then return true end
    if receipt.pages < tonumber(least) then return false end
    return doubt.cover == '1' or receipt.pages <= (tonumber(most) or tonumber(least))
  end

  -- A doubt, by its member; read once in a script (looks.read). sent: when the request was admitted, by Redis' clock (ms).
  -- by_now: the same moment by Redis' clock as it is now, which differs if the clock was wrong then. Known of a job's last
  -- attempt. date: until when iFax keeps the fax, if it does: its call may begin then.
  local function read_doubt(member, options, looks)
    if looks.read[member] then return looks.read[member] end
    looks.count = looks.count + 1
    local number, sent, id = string.match(member, '^([^|]*)|([^|]*)|(.*)$')
    local names = { 'state', 'sender', 'known_pages', 'cover', 'lease', 'granted_at', 'admitted_at', 'send_at' }
    local doubt = { number = number, sent = tonumber(sent), id = id }
    for i, value in ipairs(redis.call('HMGET', keys.job .. id, unpack(names))) do
      if value and value ~= '' then doubt[names[i]] = value end
    end
    local granted_at, date = tonumber(doubt.granted_at), tonumber(doubt.send_at) or 0
    doubt.lived = math.max(options.lease, (tonumber(doubt.lease) or 0) - (granted_at or 0))
    if granted_at and tonumber(doubt.admitted_at) == doubt.sent then doubt.by_now = granted_at - steady + now end
    if date > doubt.sent then doubt.date = date end
    looks.read[member] = doubt
    return doubt
  end

  -- The doubts of one recipient that a receipt may be about, the oldest MOST_DOUBTS of them.
  local MOST_DOUBTS = 1000
  local function doubts_to(number, receipt, options, window)
    local from, to = number .. '|', number .. '}'
    if receipt.started and not window.stepped then -- those that were sent when it fits
      local at = receipt.started * 1000
      local longest = options.lease + (options.upload or 0) + window.later
      from = from .. string.format('%015.0f', math.max(0, at - window.slack - longest))
      to = number .. '|' .. string.format('%015.0f', math.max(0, at + window.slack)) .. '}'
    end
    return redis.call('ZRANGEBYLEX', keys.doubts, '[' .. from, '(' .. to, 'LIMIT', 0, MOST_DOUBTS)
  end

  -- Doubts whose recipient has the same last digits, but for those of the given numbers.
  local function doubts_alike(receipt, numbers)
    local alike = {}
    for _, member in ipairs(redis.call('ZRANGEBYLEX', keys.doubts, '-', '+', 'LIMIT', 0, MOST_DOUBTS)) do
      local number = string.match(member, '^[^|]*')
      if number ~= numbers[1] and number ~= numbers[2] and same_number(number, receipt.to) then table.insert(alike, member) end
    end
    return alike
  end

  local function fitting(members, receipt, options, window, looks)
    local found, nearest
    for _, member in ipairs(members) do
      if not found or string.match(member, '^[^|]*|[^|]*|(.*)$') == found.id then
        local doubt = read_doubt(member, options, looks)
        local away = receipt.started and math.abs(receipt.started * 1000 - doubt.sent) or 0
        if not doubt.state then
          forget_doubt(member)
        elseif fits(receipt, doubt, window) and (not found or away < nearest) then
          found, nearest = { member = member, id = doubt.id }, away
        end
      end
    end
    return found
  end

  -- The doubt that a receipt fits: of the job with the oldest doubt, and of its attempts the one nearest in time. Returns its
  -- member, the job's id and the record. looks: {count = 0, read = {}}; its count is raised by the doubts that were looked
  -- at. First the recipient as the receipt has it, then with the country that is known to be left out, then any with the
  -- same last digits.
  function find_doubt(receipt, options, looks)
    if not receipt.to then return nil end
    local digits, alike = digits_of(receipt.to), nil
    local numbers = { '+' .. digits, #digits == 10 and '+1' .. digits or nil }
    for _, window in ipairs(windows(receipt, options)) do
      local found
      for _, number in ipairs(numbers) do
        found = found or fitting(doubts_to(number, receipt, options, window), receipt, options, window, looks)
      end
      if not found then
        alike = alike or doubts_alike(receipt, numbers)
        found = fitting(alike, receipt, options, window, looks)
      end
      if found then return found.member, found.id, read_record(keys.job .. found.id) end
    end
  end
end
