// Grafana's modules take the default export of this CommonJS package as bundlers for browsers do.
import all from '../node_modules/react-custom-scrollbars-2/lib/index.js';

export default all.default ?? all;
