"use strict";
/* All parts, in the order of the page. */

Report.head();
Report.text();
Report.graph();
Report.links();
Report.evidence();
Report.sensors();
Report.training(Report.data.training);
Report.sure();
document.documentElement.dataset.ready = "true";
