-- SPDX-License-Identifier: MIT
---@meta tcpmulti.report
-- The reference of the module tcpmulti.report: the figures of a run as one HTML file.

---@class tcpmulti.report
local report = {}

-- Static SVG, no script, nothing loaded from anywhere; what comes from outside is escaped.
---@param summary tcpmulti.summary.Summary
---@param extra? table Fields of the run, as for Summary:encode.
---@return string
function report.html(summary, extra) end

return report
