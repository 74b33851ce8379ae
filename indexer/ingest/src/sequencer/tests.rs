mod doubts;
mod model;
mod steps;
