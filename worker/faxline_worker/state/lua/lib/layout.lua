-- The layout of what is stored: MAJOR.MINOR (schema_version.py). A script of an older MAJOR leaves newer records alone. This
-- piece stands in front of every script of an account; scripts.py defines LAYOUT, the MAJOR of this process.
local function newer(layout) return (tonumber(string.match(layout or '', '^%d+')) or 1) > LAYOUT end

-- Raised before anything is written, so that what was asked stays where it is, for a newer process.
local function refuse_newer(layout)
  if newer(layout) then error({ err = 'NEWERLAYOUT ' .. layout .. ' is stored, and this process knows ' .. LAYOUT }) end
end
