-- The matching rule: which doubt a receipt with an unknown jobId is about (ARCHITECTURE.md, Doubts).
local find_doubt
do
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

  local function find_fitting(members, receipt, options, window, looks)
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
        found = found or find_fitting(doubts_to(number, receipt, options, window), receipt, options, window, looks)
      end
      if not found then
        alike = alike or doubts_alike(receipt, numbers)
        found = find_fitting(alike, receipt, options, window, looks)
      end
      if found then return found.member, found.id, read_record(keys.job .. found.id) end
    end
  end
end
