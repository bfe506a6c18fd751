"use strict";
/* All parts, in the order of the page; then the head, whose contents name the parts that are shown. */

Report.text();
Report.graph();
Report.links();
Report.evidence();
Report.sensors();
Report.training(Report.data.training);
Report.sure();
Report.head();
document.documentElement.dataset.ready = "true";
