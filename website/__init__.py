"""The documentation as a site, which `./run site` builds: docs/, and reference pages made from the code."""
