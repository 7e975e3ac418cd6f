-- Which layout what is stored has: MAJOR.MINOR (layout.py). Scripts of an older MAJOR leave what has a newer one alone.
-- In front of every script; scripts.py defines LAYOUT, the MAJOR of this process.
local function newer(layout) return (tonumber(string.match(layout or '', '^%d+')) or 1) > LAYOUT end

-- Raised before anything is written, so that whatever asked for it stays where it is, for a newer process.
local function refuse_newer(layout)
  if newer(layout) then error({ err = 'NEWERLAYOUT ' .. layout .. ' is stored, and this process knows ' .. LAYOUT }) end
end
