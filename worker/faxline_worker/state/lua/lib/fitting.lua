-- Whether a receipt with an unknown jobId may be about a doubt (ARCHITECTURE.md, Doubts).

local windows, fits
do
  -- When a receipt's call may have begun, from narrow to wide. The first that finds a doubt decides, so a wider one takes
  -- nothing from a doubt that a narrower one finds. `slack`: what iFax's clock and Redis' may differ; first as little as clocks
  -- that are kept in step do, so that of two doubts the one whose request was under way is meant. `later`: how long after
  -- its request the call may begin beyond that, because iFax may give the beginning of a call that it repeated by itself.
  -- `stepped`: Redis' clock may have been wrong, when the request was sent or since.
  local IN_STEP = 2000 -- ms; the doctor warns of a clock that differs by more
  function windows(receipt, options)
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
  function fits(receipt, doubt, window)
    if receipt.sender and doubt.sender and not same_number(receipt.sender, doubt.sender) then return false end
    if receipt.started and not in_time(receipt.started * 1000, doubt, window) then return false end
    local least, most = string.match(doubt.known_pages or '', '^(%d+)%-?(%d*)$')
    if not receipt.pages or not least then return true end
    if receipt.pages < tonumber(least) then return false end
    return doubt.cover == '1' or receipt.pages <= (tonumber(most) or tonumber(least))
  end
end
